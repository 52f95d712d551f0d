# What Docker's own guide advises for Node: dependencies in a layer that only the lock file changes.
FROM base:latest
ENV NODE_ENV=production
WORKDIR /workspace
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
CMD ["node", "server.js"]
