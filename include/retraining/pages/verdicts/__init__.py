"""What a person sees of a verdict: the finalist's figures, a page per verdict, a model card per version."""
