with moments as (
    select * from moments
),

snapshot_reserves as (
    select * from reserves_by_chain
),

offset_reserves as (
    select * from reserves_by_offset
)

select
    moments.as_of,
    offset_reserves.chain,
    offset_reserves.asset,
    offset_reserves.offset_seconds,
    snapshot_reserves.decimals,
    offset_reserves.block_height,
    offset_reserves.block_hash,
    offset_reserves.block_time,
    snapshot_reserves.amount,
    offset_reserves.amount as amount_at_offset,
    offset_reserves.amount - snapshot_reserves.amount as change,
    percent_change(offset_reserves.amount - snapshot_reserves.amount, snapshot_reserves.amount) as change_percent
from offset_reserves
inner join snapshot_reserves
    on
        offset_reserves.chain = snapshot_reserves.chain
        and offset_reserves.asset = snapshot_reserves.asset
cross join moments
