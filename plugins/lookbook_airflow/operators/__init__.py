"""Operators: the stock SageMaker operators, made safe to retry and unable to report a success that wasn't."""
