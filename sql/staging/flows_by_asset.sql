-- Flows since the previous publication, one column a kind, signed as they change what users hold.
with flows as (
    select * from inputs.flows
)

select
    asset,
    coalesce(exact_sum(case when kind = 'deposit' then amount end), 0::decimal(38, 0)) as deposits,
    coalesce(exact_sum(case when kind = 'withdrawal' then amount end), 0::decimal(38, 0)) as withdrawals,
    coalesce(exact_sum(case when kind = 'trade' then amount end), 0::decimal(38, 0)) as trades,
    coalesce(exact_sum(case when kind = 'fee' then amount end), 0::decimal(38, 0)) as fees,
    coalesce(exact_sum(case when kind = 'interest' then amount end), 0::decimal(38, 0)) as interest,
    coalesce(exact_sum(case when kind = 'adjustment' then amount end), 0::decimal(38, 0)) as adjustments,
    exact_rounding(rounding) as rounding
from flows
group by asset
