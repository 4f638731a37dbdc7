"""A host on another machine, over ssh."""
