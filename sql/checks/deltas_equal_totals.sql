-- Reserve deltas add up to the reserves of both publications; deposit deltas and the reconciliation end at the liabilities.
with delta_sums as (
    select
        asset,
        coalesce(exact_sum(current_amount), 0::decimal(38, 0)) as current_amount,
        exact_sum(previous_amount) as previous_amount
    from reserve_deltas
    group by asset
)

select
    ratios.asset,
    ratios.reserves,
    delta_sums.current_amount as reserve_deltas_current,
    previous_ratios.reserves as previous_reserves,
    delta_sums.previous_amount as reserve_deltas_previous,
    ratios.liabilities_gross,
    deltas.current_balance as deposit_deltas_current,
    ratios.liabilities_net,
    reconciliation.closing as reconciliation_closing
from reserve_ratios as ratios
left join delta_sums on ratios.asset = delta_sums.asset
left join inputs.previous_reserve_ratios as previous_ratios on ratios.asset = previous_ratios.asset
left join deposit_deltas as deltas on ratios.asset = deltas.asset
left join reconciliation on ratios.asset = reconciliation.asset
where
    ratios.reserves is distinct from coalesce(delta_sums.current_amount, 0)
    or coalesce(previous_ratios.reserves, 0) is distinct from coalesce(delta_sums.previous_amount, 0)
    or ratios.liabilities_gross is distinct from deltas.current_balance
    or ratios.liabilities_net is distinct from reconciliation.closing
