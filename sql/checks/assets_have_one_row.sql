-- Every asset of the registry, the wallets, the liabilities and the flows has exactly one row in every table by asset.
with assets as (
    select asset from inputs.assets
    union
    select asset from inputs.wallet_balances
    union
    select asset from inputs.liabilities
    union
    select asset from inputs.control_totals
    union
    select asset from inputs.flows
),

rows_by_table as (
    select
        asset,
        1 as reserve_ratios,
        0 as deposit_deltas,
        0 as reconciliation
    from reserve_ratios
    union all
    select
        asset,
        0 as reserve_ratios,
        1 as deposit_deltas,
        0 as reconciliation
    from deposit_deltas
    union all
    select
        asset,
        0 as reserve_ratios,
        0 as deposit_deltas,
        1 as reconciliation
    from reconciliation
)

select
    assets.asset,
    coalesce(sum(rows_by_table.reserve_ratios), 0) as reserve_ratios,
    coalesce(sum(rows_by_table.deposit_deltas), 0) as deposit_deltas,
    coalesce(sum(rows_by_table.reconciliation), 0) as reconciliation
from assets
left join rows_by_table on assets.asset = rows_by_table.asset
group by assets.asset
having
    coalesce(sum(rows_by_table.reserve_ratios), 0) <> 1
    or coalesce(sum(rows_by_table.deposit_deltas), 0) <> 1
    or coalesce(sum(rows_by_table.reconciliation), 0) <> 1
