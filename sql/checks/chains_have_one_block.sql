-- All balances of a chain were read at the one snapshot block of that chain.
select
    balances.chain,
    balances.block_height,
    balances.block_hash,
    balances.block_time,
    count(*) as balances,
    any_value(blocks.height) as snapshot_height,
    any_value(blocks.hash) as snapshot_hash
from wallet_balances as balances
left join snapshot_blocks as blocks on balances.chain = blocks.chain
where
    blocks.height is distinct from balances.block_height
    or blocks.hash is distinct from balances.block_hash
    or blocks.time is distinct from balances.block_time
group by
    balances.chain,
    balances.block_height,
    balances.block_hash,
    balances.block_time
