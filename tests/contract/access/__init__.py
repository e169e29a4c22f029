"""A package, so that what is set up for all of its tests ends with them."""
