"""The stages in order, as the DAGs and the command line call them: retrain, score, monitor."""
