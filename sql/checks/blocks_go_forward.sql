-- A chain's snapshot block is that of the previous publication or lies above it.
with previous_blocks as (
    select
        chain,
        max(block_height) as height,
        max(block_hash) as hash
    from inputs.previous_wallet_balances
    group by chain
)

select
    blocks.chain,
    previous_blocks.height as previous_height,
    blocks.height,
    previous_blocks.hash as previous_hash,
    blocks.hash
from snapshot_blocks as blocks
inner join previous_blocks on blocks.chain = previous_blocks.chain
where
    blocks.height < previous_blocks.height
    or (blocks.height = previous_blocks.height and blocks.hash <> previous_blocks.hash)
