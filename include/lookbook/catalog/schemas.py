"""The Arrow schemas of Lookbook's Iceberg tables and of the candidates a drop is read into.

``docs/data-contract.md`` explains each column. Every row carries ``drop_id`` and the ids that trace it.
"""

from __future__ import annotations

import pyarrow as pa

_STRINGS = pa.map_(pa.string(), pa.string())

# What a row that was mended by hand was made from: null for every other.
MENDING = pa.struct(
    [
        pa.field("uri", pa.string()),  # the file that was handed in
        pa.field("sha256", pa.string()),
        pa.field("line", pa.string()),  # the row as it was handed in, in the columns of styles.csv
        pa.field("fields", pa.list_(pa.string())),  # the columns of styles.csv in which it differs from raw_line
    ]
)

PRODUCT_FIELDS = [
    pa.field("drop_id", pa.string(), nullable=False),
    pa.field("product_id", pa.string(), nullable=False),
    pa.field("display_name", pa.string()),
    pa.field("brand", pa.string()),
    pa.field("gender", pa.string()),
    pa.field("age_group", pa.string()),
    pa.field("master_category", pa.string()),
    pa.field("sub_category", pa.string()),
    pa.field("article_type", pa.string()),
    pa.field("base_colour", pa.string()),
    pa.field("season", pa.string()),
    pa.field("year", pa.int32()),
    pa.field("usage", pa.string()),
    # Normalised attributes, baseColour among them: {"Fabric": "Cotton", "Sleeve Length": "Long Sleeves", …}
    pa.field("attributes", _STRINGS),
    pa.field("raw_attributes", _STRINGS),
    pa.field("descriptors", _STRINGS),  # the seller's texts, HTML made plain: {"description": …, "style_note": …}
    pa.field("picture_uri", pa.string()),
    pa.field("picture_etag", pa.string()),
    pa.field("picture_sha256", pa.string()),
    pa.field("picture_phash", pa.string()),  # 64 bits, 16 hexadecimal digits
    pa.field("picture_width", pa.int32()),  # pixels, as the picture is shown
    pa.field("picture_height", pa.int32()),
    pa.field("picture_format", pa.string()),  # JPEG, PNG or WEBP
    pa.field("picture_mode", pa.string()),  # RGB, L, CMYK …
    pa.field("styles_json_uri", pa.string()),
    pa.field("styles_json_sha256", pa.string()),
    pa.field("line_number", pa.int32()),  # first line of the row in styles.csv, header = 1
    pa.field("raw_line", pa.string()),
    pa.field("mending", MENDING),
]

PRODUCTS = pa.schema(PRODUCT_FIELDS)

# What `read` makes of every row of a drop, good or bad: a product, plus what was wrong and what was mended.
CANDIDATES = pa.schema(
    [field.with_nullable(True) for field in PRODUCT_FIELDS]
    + [
        pa.field("row_problem", pa.string()),  # reason code, null when the line could be read
        pa.field("picture_problem", pa.string()),  # reason code, null when the picture can be used
        pa.field("styles_problem", pa.string()),  # reason code, null when the JSON was read; never rejects a row
        pa.field("problem_detail", pa.string()),  # what was found, for people
        pa.field("repairs", pa.list_(pa.string())),  # what was mended in the line, e.g. "stray_comma"
    ]
)

QUARANTINE = pa.schema(
    [
        pa.field("drop_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string()),
        pa.field("line_number", pa.int32()),
        pa.field("raw_line", pa.string()),
        pa.field("reasons", pa.list_(pa.string())),  # reason codes, at least one
        pa.field("detail", pa.string()),
        pa.field("picture_uri", pa.string()),
        pa.field("mending", MENDING),
    ]
)

VQA_PAIRS = pa.schema(
    [
        pa.field("dataset_id", pa.string(), nullable=False),
        pa.field("drop_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("attribute", pa.string(), nullable=False),
        pa.field("question", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),  # "Fabric: Cotton"
        pa.field("side", pa.string(), nullable=False),  # train, validation or benchmark
        pa.field("picture_uri", pa.string(), nullable=False),
        pa.field("picture_sha256", pa.string(), nullable=False),
    ]
)

PREDICTED_ATTRIBUTES = pa.schema(
    [
        pa.field("drop_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("attribute", pa.string(), nullable=False),
        pa.field("value", pa.string()),  # null: the model abstained, or answered in no known form
        pa.field("probability", pa.float64()),
        pa.field("question", pa.string()),
        pa.field("picture_sha256", pa.string()),
        pa.field("model_version", pa.string()),
        pa.field("endpoint_config", pa.string()),  # null: a transform job was asked
        pa.field("result_uri", pa.string()),
        pa.field("text", pa.string()),  # what the model said, whatever was made of it
        pa.field("abstained", pa.bool_()),
        pa.field("threshold", pa.float64()),  # of probability; 0: any answer will do, null: none does
        pa.field("latency_ms", pa.int32()),  # of the attempt that was answered; null for a transform job
        pa.field("attempts", pa.int32()),
        pa.field("transform_job", pa.string()),  # the batch transform job that was asked in the endpoint's place
    ]
)

FACT = pa.struct(
    [
        pa.field("attribute", pa.string()),
        pa.field("value", pa.string()),
        pa.field("source", pa.string()),  # catalogue or model
        pa.field("probability", pa.float64()),  # null for the catalogue
    ]
)

DIFFERENCE = pa.struct(
    [
        pa.field("attribute", pa.string()),
        pa.field("catalogue_value", pa.string()),
        pa.field("model_value", pa.string()),
        pa.field("probability", pa.float64()),
    ]
)

DESCRIPTIONS = pa.schema(
    [
        pa.field("drop_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # published, withheld, failed; stale: its model was taken back
        pa.field("reasons", pa.list_(pa.string())),  # why not published
        pa.field("failure", pa.string()),  # of a failed one: permanent or retryable
        pa.field("description", pa.string()),
        pa.field("title", pa.string()),
        pa.field("bullet_points", pa.list_(pa.string())),
        pa.field("keywords", pa.list_(pa.string())),  # for search engines
        pa.field("language", pa.string()),  # BCP 47: en-GB
        pa.field("facts", pa.list_(FACT)),
        pa.field("differences", pa.list_(DIFFERENCE)),
        pa.field("input_hash", pa.string()),
        pa.field("attempt", pa.int32()),  # how often it was driven again with the same input; null: never
        pa.field("prompt_version", pa.string()),
        pa.field("prompt_sha256", pa.string()),
        pa.field("text_model_id", pa.string()),
        pa.field("region", pa.string()),  # where the text model was asked
        pa.field("mode", pa.string()),  # per_product, sharded or batch
        pa.field("request_id", pa.string()),
        pa.field("calls", pa.int32()),
        pa.field("latency_ms", pa.int64()),  # of all calls together
        pa.field("input_tokens", pa.int64()),
        pa.field("cached_tokens", pa.int64()),  # of the input's tokens, those read from the model's cache
        pa.field("output_tokens", pa.int64()),
        pa.field("cost_usd", pa.float64()),
        pa.field("attribute_model_version", pa.string()),  # null: written from catalogue facts alone
        pa.field("endpoint_config", pa.string()),
        pa.field("products_snapshot", pa.string()),
        pa.field("picture_uri", pa.string()),
        pa.field("picture_sha256", pa.string()),
        pa.field("dag_id", pa.string()),
        pa.field("run_id", pa.string()),
        pa.field("task_id", pa.string()),
        pa.field("map_index", pa.int32()),
        pa.field("result_uri", pa.string()),
        pa.field("review", pa.string()),  # what a person decided; null: nobody was asked, or nobody answered
        pa.field("edited", pa.bool_()),  # whether the text is a person's and not the model's any more
        pa.field("reviewed_by", pa.string()),
        pa.field("reviewed_at", pa.timestamp("us", tz="UTC")),
        pa.field("review_reason", pa.string()),
    ]
)

# Where a sure answer of the model contradicts the catalogue: one of the two is wrong, and a person must say which.
FINDINGS = pa.schema(
    [
        pa.field("drop_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("attribute", pa.string(), nullable=False),
        pa.field("article_type", pa.string()),
        pa.field("catalogue_value", pa.string(), nullable=False),
        pa.field("model_value", pa.string(), nullable=False),
        pa.field("probability", pa.float64()),
        pa.field("threshold", pa.float64()),  # how sure the model had to be
        pa.field("model_version", pa.string()),
        pa.field("picture_uri", pa.string()),
        pa.field("picture_sha256", pa.string()),
        pa.field("result_uri", pa.string()),  # what the model answered
        pa.field("products_snapshot", pa.string()),
        pa.field("first_seen_run", pa.string()),  # the first run that found the two values at odds
    ]
)

DATASET = pa.struct(
    [
        pa.field("kind", pa.string()),
        pa.field("name", pa.string()),
        pa.field("version", pa.string()),
        pa.field("partition", pa.string()),  # of a table, where one partition of it was read or written: a drop
        pa.field("checksum", pa.string()),  # SHA-256 of an object's content, where the task held it
    ]
)

RUNS = pa.schema(
    [
        pa.field("drop_id", pa.string()),
        pa.field("dag_id", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("map_index", pa.int32(), nullable=False),
        pa.field("try_number", pa.int32()),
        pa.field("started_at", pa.timestamp("us", tz="UTC")),
        pa.field("finished_at", pa.timestamp("us", tz="UTC")),
        pa.field("inputs", pa.list_(DATASET)),
        pa.field("outputs", pa.list_(DATASET)),
        pa.field("counts", pa.map_(pa.string(), pa.int64())),
        pa.field("details", _STRINGS),
        pa.field("code_version", pa.string()),  # git commit, else the version of the DAG bundle
        pa.field("settings_sha256", pa.string()),  # s3://<bucket>/lineage/settings/<sha256>.json
        pa.field("cost_usd", pa.float64()),  # list price of what the task bought; null: nothing, or no price known
        pa.field("outputs_cost_usd", pa.float64()),  # of what it published, whichever tasks paid: not to be added up
    ]
)

TABLES: dict[str, pa.Schema] = {
    "catalog.products": PRODUCTS,
    "catalog.quarantine": QUARANTINE,
    "training.vqa_pairs": VQA_PAIRS,
    "predictions.attributes": PREDICTED_ATTRIBUTES,
    "descriptions.descriptions": DESCRIPTIONS,
    "quality.findings": FINDINGS,
    "lineage.runs": RUNS,
}
