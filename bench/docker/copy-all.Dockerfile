# What many begin with: any change of the source installs every dependency anew.
FROM base:latest
ENV NODE_ENV=production
WORKDIR /workspace
COPY . .
RUN npm ci --no-audit --no-fund
CMD ["node", "server.js"]
