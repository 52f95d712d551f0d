require_relative 'boot'

require 'action_controller/railtie'
require 'sprockets/railtie'

Bundler.require(*Rails.groups)

module RailsMini
  class Application < Rails::Application
    config.load_defaults 6.1
  end
end
