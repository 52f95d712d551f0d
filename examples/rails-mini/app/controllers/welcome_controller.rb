class WelcomeController < ApplicationController
  def index
    session[:visits] = session[:visits].to_i + 1
  end
end
