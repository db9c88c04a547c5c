with moments as (
    select * from moments
),

current_reserves as (
    select * from reserves_by_chain
),

previous_reserves as (
    select * from previous_reserves_by_chain
),

amounts as (
    select
        coalesce(current_reserves.asset, previous_reserves.asset) as asset,
        coalesce(current_reserves.chain, previous_reserves.chain) as chain,
        coalesce(current_reserves.decimals, previous_reserves.decimals) as decimals,
        previous_reserves.amount as previous_amount,
        current_reserves.amount as current_amount,
        current_reserves.amount - previous_reserves.amount as change
    from current_reserves
    full outer join previous_reserves
        on
            current_reserves.asset = previous_reserves.asset
            and current_reserves.chain = previous_reserves.chain
)

select
    moments.as_of,
    moments.previous_as_of,
    amounts.asset,
    amounts.chain,
    amounts.decimals,
    amounts.previous_amount,
    amounts.current_amount,
    amounts.change,
    percent_change(amounts.change, amounts.previous_amount) as change_percent
from amounts
cross join moments
