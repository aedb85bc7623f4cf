"""The little that every domain needs and that has no business word in it."""
