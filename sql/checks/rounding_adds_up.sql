-- The rounding that is stated is that of the rows, begins where the previous publication ended, and explains its own part alone.
with row_sums as (
    select
        asset,
        exact_rounding(rounding) as rounding
    from inputs.liabilities
    group by asset
),

flow_sums as (
    select
        asset,
        exact_rounding(rounding) as rounding
    from inputs.flows
    group by asset
)

select
    reconciliation.asset,
    reconciliation.rounding,
    reconciliation.opening_rounding,
    previous_reconciliation.closing_rounding as previous_closing_rounding,
    reconciliation.flows_rounding,
    flow_sums.rounding as rounding_of_flows,
    reconciliation.closing_rounding,
    row_sums.rounding as rounding_of_rows
from reconciliation
left join row_sums on reconciliation.asset = row_sums.asset
left join flow_sums on reconciliation.asset = flow_sums.asset
left join inputs.previous_reconciliation as previous_reconciliation
    on reconciliation.asset = previous_reconciliation.asset
where
    reconciliation.closing_rounding is distinct from coalesce(row_sums.rounding, 0)
    or reconciliation.opening_rounding is distinct from previous_reconciliation.closing_rounding
    or coalesce(reconciliation.flows_rounding, 0) is distinct from coalesce(flow_sums.rounding, 0)
    or (reconciliation.rounding is null) <> (reconciliation.opening is null)
    or (reconciliation.opening_rounding is null) <> (reconciliation.opening is null)
    or abs(
        reconciliation.rounding::decimal(38, 18)
        - (reconciliation.closing_rounding - reconciliation.opening_rounding - reconciliation.flows_rounding)
    ) >= 1
