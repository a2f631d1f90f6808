"""From what a model wrote to a validated object: strict first, then what can be mended without guessing, then a reason why not."""
