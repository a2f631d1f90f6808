"""What a person sees and touches: panels, guesses and exercises. The only floor of the house that knows Jupyter."""
