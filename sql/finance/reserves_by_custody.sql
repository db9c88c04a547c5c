-- How the reserves are kept: one row a chain, asset, custody and encumbrance.
with wallet_balances as (
    select * from wallet_balances
)

select
    chain,
    asset,
    custody,
    encumbrance,
    any_value(decimals) as decimals,
    count(*) as wallet_count,
    exact_sum(amount) as amount
from wallet_balances
group by
    chain,
    asset,
    custody,
    encumbrance
order by
    chain,
    asset,
    custody,
    encumbrance
