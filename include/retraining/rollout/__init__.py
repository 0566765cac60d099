"""How a release is made and becomes the champion, by a verdict, an answer, an override, a rollback or an adoption."""
