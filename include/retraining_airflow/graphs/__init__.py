"""One module per DAG family: tasks and their order. What a task does is a call into `retraining`."""
