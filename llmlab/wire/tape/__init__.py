"""What a cassette is made of: interactions, how they are found, kept and cleaned of secrets."""
