with moments as (
    select * from moments
),

blocks as (
    select * from inputs.snapshot_blocks
)

select
    moments.as_of,
    blocks.chain,
    blocks.height,
    blocks.hash,
    blocks.time,
    blocks.finality,
    blocks.distance_seconds,
    blocks.sources_asked,
    blocks.sources_agreed
from blocks
cross join moments
