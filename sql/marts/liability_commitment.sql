-- The sum tree over the liabilities: its root, and what it adds up to for each asset.
with moments as (
    select * from moments
),

commitment as (
    select * from inputs.commitment
)

select
    moments.as_of,
    commitment.asset,
    commitment.decimals,
    commitment.total,
    commitment.leaf_limit,
    commitment.leaf_count,
    commitment.root_hash,
    commitment.commitment,
    commitment.format
from commitment
cross join moments
