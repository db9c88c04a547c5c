with ratios as (
    select * from reserve_ratios
),

previous_ratios as (
    select * from inputs.previous_reserve_ratios
),

prices as (
    select * from inputs.prices
),

previous_prices as (
    select * from inputs.previous_prices
),

balances as (
    select
        ratios.as_of,
        ratios.previous_as_of,
        ratios.asset,
        ratios.decimals,
        previous_ratios.liabilities_gross as previous_balance,
        ratios.liabilities_gross as current_balance,
        ratios.liabilities_gross - previous_ratios.liabilities_gross as change,
        previous_prices.price as previous_price,
        prices.price as current_price
    from ratios
    inner join prices on ratios.asset = prices.asset
    left join previous_ratios on ratios.asset = previous_ratios.asset
    left join previous_prices on ratios.asset = previous_prices.asset
),

-- Rounded to cents here, so that the differences below are exact and the columns add up as shown.
valued_balances as (
    select
        *,
        value_usd(previous_balance, decimals, previous_price) as previous_value_usd,
        value_usd(current_balance, decimals, current_price) as current_value_usd,
        value_usd(change, decimals, previous_price) as quantity_effect_usd
    from balances
)

select
    as_of,
    previous_as_of,
    asset,
    decimals,
    previous_balance,
    current_balance,
    change,
    percent_change(change, previous_balance) as change_percent,
    previous_price,
    current_price,
    previous_value_usd,
    current_value_usd,
    current_value_usd - previous_value_usd as change_usd,
    quantity_effect_usd,
    current_value_usd - previous_value_usd - quantity_effect_usd as price_effect_usd
from valued_balances
