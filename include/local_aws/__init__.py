"""Local AWS: SageMaker and Bedrock on this machine, everything else from ministack, behind one address.

Standard library, botocore and a web server only: nothing here knows Lookbook or Airflow, which meet it through the AWS
APIs like any other client. See docs/local-aws.md.
"""
