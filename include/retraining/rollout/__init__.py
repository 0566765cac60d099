"""How a release becomes the champion: by a verdict, an answer, an override, a rollback, an adoption or a return."""
