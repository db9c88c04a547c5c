-- What is owed, asset by asset, under the three treatments of negative balances.
with liabilities as (
    select * from inputs.liabilities
),

negative_equity as (
    select * from negative_equity
),

marked_rows as (
    select
        liabilities.asset,
        liabilities.amount,
        liabilities.rounding,
        negative_equity.user_key is null as has_equity
    from liabilities
    left join negative_equity on liabilities.user_key = negative_equity.user_key
)

select
    asset,
    coalesce(exact_sum(case when amount > 0 then amount end), 0::decimal(38, 0)) as gross,
    coalesce(exact_sum(case when amount < 0 then amount end), 0::decimal(38, 0)) as negative,
    exact_sum(amount) as net,
    coalesce(exact_sum(case when has_equity then amount end), 0::decimal(38, 0)) as netted_by_user,
    count(*) filter (where amount < 0) as negative_rows,
    exact_rounding(rounding) as rounding,
    count(*) filter (where rounding > 0) as rounded_rows
from marked_rows
group by asset
