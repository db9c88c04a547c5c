-- Users whose debts exceed what they hold; equity is rounded down to 10^-8 USD.
select
    user_key,
    equity_usd
from negative_equity
order by user_key
