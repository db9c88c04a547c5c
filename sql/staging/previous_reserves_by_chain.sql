-- What was held in the previous publication, by asset and chain.
with wallet_balances as (
    select * from inputs.previous_wallet_balances
)

select
    asset,
    chain,
    any_value(decimals) as decimals,
    exact_sum(amount) as amount
from wallet_balances
group by
    asset,
    chain
