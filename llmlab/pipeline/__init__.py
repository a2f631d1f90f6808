"""Above the openai client: what you do about the wire. A module a stage, in the order in which a request meets them."""
