-- Users whose total value over all assets and account types is below zero at the prices of this report.
--
-- The sign is exact. amount * price does not fit 38 digits, so an amount is cut into whole units and the part below;
-- what even that leaves over is summed apart, in 10^-24 of 10^-8 USD (hence at most 24 decimals).
with liabilities as (
    select * from inputs.liabilities
),

prices as (
    select * from inputs.prices
),

-- Nobody without a negative row has negative equity.
indebted_users as (
    select distinct user_key
    from liabilities
    where amount < 0
),

priced_rows as (
    select
        liabilities.user_key,
        liabilities.decimals,
        liabilities.amount::hugeint as amount,
        power_of_ten(liabilities.decimals)::hugeint as unit,
        price_units(prices.price) as price
    from liabilities
    inner join indebted_users on liabilities.user_key = indebted_users.user_key
    inner join prices on liabilities.asset = prices.asset
),

-- // and % round towards zero and keep the sign, so both parts of a negative amount are negative.
valued_rows as (
    select
        user_key,
        (amount // unit) * price + ((amount % unit) * price) // unit as value,
        (((amount % unit) * price) % unit) * power_of_ten(24 - decimals)::hugeint as rest
    from priced_rows
),

user_sums as (
    select
        user_key,
        sum(value) + sum(rest) // power_of_ten(24)::hugeint as value,
        sum(rest) % power_of_ten(24)::hugeint as rest
    from valued_rows
    group by user_key
),

user_values as (
    select
        user_key,
        value - (rest < 0)::integer::hugeint as value_rounded_down
    from user_sums
)

select
    user_key,
    value_rounded_down::decimal(38, 0) * 0.00000001::decimal(8, 8) as equity_usd
from user_values
where value_rounded_down < 0
