-- What is held, asset by asset.
with wallet_balances as (
    select * from inputs.wallet_balances
)

select
    asset,
    exact_sum(amount) as reserves,
    coalesce(exact_sum(case when encumbrance <> 'none' then amount end), 0::decimal(38, 0)) as encumbered,
    coalesce(exact_sum(case when ownership_status in ('fresh', 'movement') then amount end), 0::decimal(38, 0)) as proven
from wallet_balances
group by asset
