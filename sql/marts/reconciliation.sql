with ratios as (
    select * from reserve_ratios
),

totals as (
    select * from liabilities_by_asset
),

previous_ratios as (
    select * from inputs.previous_reserve_ratios
),

previous_reconciliation as (
    select * from inputs.previous_reconciliation
),

flows as (
    select * from flows_by_asset
),

-- No flow of a kind is a real zero when there is a period to look at, and unknown when there is none.
movements as (
    select
        ratios.as_of,
        ratios.previous_as_of,
        ratios.asset,
        ratios.decimals,
        previous_ratios.liabilities_net as opening,
        case when ratios.previous_as_of is not null then coalesce(flows.deposits, 0) end as deposits,
        case when ratios.previous_as_of is not null then coalesce(flows.withdrawals, 0) end as withdrawals,
        case when ratios.previous_as_of is not null then coalesce(flows.trades, 0) end as trades,
        case when ratios.previous_as_of is not null then coalesce(flows.fees, 0) end as fees,
        case when ratios.previous_as_of is not null then coalesce(flows.interest, 0) end as interest,
        case when ratios.previous_as_of is not null then coalesce(flows.adjustments, 0) end as adjustments,
        ratios.liabilities_net as closing,
        previous_reconciliation.closing_rounding as opening_rounding,
        case
            when ratios.previous_as_of is not null then coalesce(flows.rounding, 0::decimal(38, 18))
        end as flows_rounding,
        coalesce(totals.rounding, 0::decimal(38, 18)) as closing_rounding
    from ratios
    left join totals on ratios.asset = totals.asset
    left join previous_ratios on ratios.asset = previous_ratios.asset
    left join previous_reconciliation on ratios.asset = previous_reconciliation.asset
    left join flows on ratios.asset = flows.asset
),

differences as (
    select
        *,
        opening + deposits + withdrawals + trades + fees + interest + adjustments as moved,
        closing_rounding - opening_rounding - flows_rounding as rounding_effect
    from movements
),

-- What rounding explains is no integer where there is more to explain. It is then rounded such that the rest is rounded away from
-- zero: a difference below one base unit is still one.
explanations as (
    select
        *,
        case
            when closing - moved > floor(rounding_effect) then floor(rounding_effect) else ceil(rounding_effect)
        end as rounding
    from differences
),

expectations as (
    select
        *,
        moved + rounding as expected
    from explanations
)

select
    as_of,
    previous_as_of,
    asset,
    decimals,
    opening,
    deposits,
    withdrawals,
    trades,
    fees,
    interest,
    adjustments,
    rounding,
    expected,
    closing,
    closing - expected as unexplained,
    opening_rounding,
    flows_rounding,
    closing_rounding
from expectations
