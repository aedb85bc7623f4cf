"""The local page: the deployed dashboard as an admin would see it, and the outbox. / ローカル画面"""
