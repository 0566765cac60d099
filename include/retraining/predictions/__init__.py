"""What champions predicted: batches, their ids, and how they are read again."""
