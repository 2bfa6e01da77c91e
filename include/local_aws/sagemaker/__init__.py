"""SageMaker and SageMaker Runtime: training jobs and endpoints are processes, the rest is what is written down."""
