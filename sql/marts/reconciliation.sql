with ratios as (
    select * from reserve_ratios
),

previous_ratios as (
    select * from inputs.previous_reserve_ratios
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
        ratios.liabilities_net as closing
    from ratios
    left join previous_ratios on ratios.asset = previous_ratios.asset
    left join flows on ratios.asset = flows.asset
),

expectations as (
    select
        *,
        opening + deposits + withdrawals + trades + fees + interest + adjustments as expected
    from movements
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
    expected,
    closing,
    closing - expected as unexplained
from expectations
