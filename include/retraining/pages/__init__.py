"""What a person reads: verdict pages, model cards, Markdown."""
