-- What the same wallets held around the snapshot, by chain, asset and offset.
with offset_balances as (
    select * from inputs.offset_balances
)

select
    chain,
    asset,
    offset_seconds,
    any_value(block_height) as block_height,
    any_value(block_hash) as block_hash,
    any_value(block_time) as block_time,
    exact_sum(amount) as amount
from offset_balances
group by
    chain,
    asset,
    offset_seconds
