-- A chain's snapshot block lies above that of the previous publication.
with previous_blocks as (
    select
        chain,
        max(block_height) as height
    from inputs.previous_wallet_balances
    group by chain
)

select
    blocks.chain,
    previous_blocks.height as previous_height,
    blocks.height
from snapshot_blocks as blocks
inner join previous_blocks on blocks.chain = previous_blocks.chain
where blocks.height <= previous_blocks.height
