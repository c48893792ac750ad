"""What a result is worth: who was tested and trained where, and how it was scored."""
