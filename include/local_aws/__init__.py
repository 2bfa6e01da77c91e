"""Local AWS: SageMaker and Bedrock on this machine, everything else from ministack, behind one address."""
