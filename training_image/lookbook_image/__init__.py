"""What runs inside Lookbook's SageMaker containers: ``python -m lookbook_image train|evaluate|serve``.

It knows nothing of the rest of Lookbook and meets it only in the SageMaker file contract and the data set's files.
"""
