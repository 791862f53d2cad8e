"""What a caller may send, or a moment may bring, and each must end in a valid answer and one record."""
