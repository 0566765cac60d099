"""Care of the object store: is it whole, what may be freed, and how a person's rows are erased."""
