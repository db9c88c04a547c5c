-- Around the snapshot, the very wallets and assets of the snapshot were read, at one block an offset.
with snapshot_counts as (
    select
        chain,
        asset,
        count(*) as wallets
    from inputs.wallet_balances
    group by
        chain,
        asset
),

offset_counts as (
    select
        chain,
        asset,
        offset_seconds,
        count(distinct address) as wallets,
        count(*) as balances,
        count(distinct block_hash) as blocks
    from inputs.offset_balances
    group by
        chain,
        asset,
        offset_seconds
)

select
    offset_counts.chain,
    offset_counts.asset,
    offset_counts.offset_seconds,
    offset_counts.wallets,
    offset_counts.balances,
    offset_counts.blocks,
    snapshot_counts.wallets as snapshot_wallets
from offset_counts
left join snapshot_counts
    on
        offset_counts.chain = snapshot_counts.chain
        and offset_counts.asset = snapshot_counts.asset
where
    offset_counts.wallets is distinct from snapshot_counts.wallets
    or offset_counts.balances <> offset_counts.wallets
    or offset_counts.blocks <> 1
