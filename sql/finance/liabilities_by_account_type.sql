-- Where the liabilities stand in the ledger: one row an account type and asset.
with liabilities as (
    select * from inputs.liabilities
)

select
    account_type,
    asset,
    any_value(decimals) as decimals,
    count(*) as row_count,
    count(distinct user_key) as user_count,
    coalesce(exact_sum(case when amount > 0 then amount end), 0::decimal(38, 0)) as positive_amount,
    coalesce(exact_sum(case when amount < 0 then amount end), 0::decimal(38, 0)) as negative_amount,
    exact_sum(amount) as net_amount
from liabilities
group by
    account_type,
    asset
order by
    account_type,
    asset
