-- Rows, users and total of every account type and asset equal the control totals that the ledger states itself; totals are
-- compared as they were before balances, or totals, were rounded.
with snapshot_totals as (
    select
        account_type,
        asset,
        count(*) as row_count,
        count(distinct user_key) as user_count,
        exact_sum(amount) as total_amount,
        exact_rounding(rounding) as rounding
    from inputs.liabilities
    group by
        account_type,
        asset
)

select
    coalesce(snapshot_totals.account_type, control_totals.account_type) as account_type,
    coalesce(snapshot_totals.asset, control_totals.asset) as asset,
    snapshot_totals.row_count,
    control_totals.row_count as stated_row_count,
    snapshot_totals.user_count,
    control_totals.user_count as stated_user_count,
    snapshot_totals.total_amount,
    control_totals.total_amount as stated_total_amount,
    snapshot_totals.rounding,
    control_totals.rounding as stated_rounding
from snapshot_totals
full outer join inputs.control_totals as control_totals
    on
        snapshot_totals.account_type = control_totals.account_type
        and snapshot_totals.asset = control_totals.asset
where
    coalesce(snapshot_totals.row_count, 0) is distinct from control_totals.row_count
    or coalesce(snapshot_totals.user_count, 0) is distinct from control_totals.user_count
    -- What differs by more than fits is null here, which is distinct.
    or try_cast(coalesce(snapshot_totals.total_amount, 0) - control_totals.total_amount as decimal(38, 18))
    is distinct from coalesce(snapshot_totals.rounding, 0)
    - control_totals.rounding::decimal(38, 0) * 0.000000000000000001::decimal(18, 18)
