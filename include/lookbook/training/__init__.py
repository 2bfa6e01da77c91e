"""SageMaker job requests, evaluation reports, gate, model registry."""
